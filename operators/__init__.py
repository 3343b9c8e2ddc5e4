"""Forward operators and noise: what measures."""

if __name__ != "invprob.operators":
    raise ImportError(f"import this package as `invprob.operators`, not `{__name__}`")
