"""The playground: models are talked to on a page, by the same door as every program."""
