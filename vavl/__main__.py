"""``python -m vavl`` runs ``vavl-train``."""

from vavl.cli.train import main

main()
