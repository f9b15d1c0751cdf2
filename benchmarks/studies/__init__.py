"""One-off studies behind a decision; their figures are kept, and they are rerun only to question it."""
