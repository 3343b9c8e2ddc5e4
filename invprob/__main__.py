"""`python -m invprob`."""

from invprob.cli.app import main

if __name__ == "__main__":
    main()
