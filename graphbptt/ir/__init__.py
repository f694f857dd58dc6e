"""The intermediate representations: frozen data, each with a grammar, a text form and a verifier."""
