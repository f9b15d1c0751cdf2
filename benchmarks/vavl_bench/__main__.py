"""``python -m vavl_bench`` is ``vavl-bench``."""

from vavl_bench.cli.app import main

if __name__ == "__main__":
    main()
