"""`make bench`: how fast every stage is, beside its limit, in one run. `bench/README.md` says what each row means."""
