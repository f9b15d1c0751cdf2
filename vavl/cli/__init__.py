"""The ``vavl-train`` command line, one file a command."""
