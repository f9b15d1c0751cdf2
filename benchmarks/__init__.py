"""Programs that regenerate every published figure."""
