"""The first page of an organisation and of the platform, put together from what the contexts' faces tell."""
