"""What is run by hand or by nox beside the product: the environment, and the pages that are made of code."""
