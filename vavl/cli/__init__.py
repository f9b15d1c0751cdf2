"""The command line ``vavl-train``: one file per command."""
