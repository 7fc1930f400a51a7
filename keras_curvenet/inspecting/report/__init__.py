"""A page and a table of all that loss curves tell, to hand to others."""
