"""``python -m graphbptt`` is the command ``graphbptt``."""

from graphbptt.cli import main

if __name__ == "__main__":
    main()
