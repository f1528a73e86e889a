"""The home page and the search: the roof, which looks down on everything."""
