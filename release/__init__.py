"""The programs that make a release: distributions of a commit, and what is in them."""
