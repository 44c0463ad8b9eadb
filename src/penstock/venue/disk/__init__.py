"""What the journal is on disk: sectors, groups of records, segments, the acknowledgement watermark, and their scan."""
