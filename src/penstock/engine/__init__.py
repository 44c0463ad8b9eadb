"""The typed face of the native core: the same state machine as `penstock.spec`, in Rust, behind bytes.

`penstock-core` is an optional package; `available()` says whether it is installed.
"""
