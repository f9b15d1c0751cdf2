"""``python -m vavl_runtime`` is ``vavl-run``."""

from vavl_runtime.cli.run import main

if __name__ == "__main__":
    main()
