"""What is said: messages, events, ledger forms, reasons, signatures. No state, no I/O."""
