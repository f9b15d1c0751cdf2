"""Kills the long commands at random points, and looks at what is left."""
