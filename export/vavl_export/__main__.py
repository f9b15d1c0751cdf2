"""Runs the exporter's command line: ``python -m vavl_export``."""

from vavl_export.cli import main

main()
