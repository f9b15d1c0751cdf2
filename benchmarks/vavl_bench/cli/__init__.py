"""The command line of ``vavl-bench``; it translates between a terminal and the library, nothing more."""
