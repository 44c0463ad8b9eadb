"""Recorded data that ships says where it comes from, is what it was, and stays small."""

import hashlib
import re

LARGEST_TOTAL = 6 * 1024 * 1024
LISTED = re.compile(r"^([0-9a-f]{64}) [ *](?:\./)?(.+)$")


def folders(checkout):
    return sorted({"/".join(name.split("/")[:2]) for name in checkout.under("data/") if name.count("/") > 1})


def test_every_sample_folder_says_where_it_comes_from(checkout):
    assert [folder for folder in folders(checkout) if f"{folder}/PROVENANCE.md" not in checkout.files] == []
    assert [
        folder
        for folder in folders(checkout)
        if not re.search("(?i)venue.{0,20}terms may apply", checkout.text(f"{folder}/PROVENANCE.md"))
    ] == []


def test_every_sample_is_listed_with_its_hash_and_matches_it(checkout):
    wrong = []
    for folder in folders(checkout):
        lines = checkout.lines(f"{folder}/SHA256SUMS") if f"{folder}/SHA256SUMS" in checkout.files else []
        listed = {match[2]: match[1] for match in map(LISTED.match, lines) if match}
        shipped = {name.removeprefix(f"{folder}/") for name in checkout.under(f"{folder}/")}
        wrong += [f"{folder}: {name} is not there" for name in sorted(set(listed) - shipped)]
        for name in sorted(shipped - {"SHA256SUMS", "PROVENANCE.md"}):
            if hashlib.sha256((checkout.root / folder / name).read_bytes()).hexdigest() != listed.get(name):
                wrong.append(f"{folder}: {name} is not what SHA256SUMS says")
    assert wrong == []


def test_the_samples_are_six_megabytes_at_most(checkout):
    assert sum((checkout.root / name).stat().st_size for name in checkout.under("data/")) <= LARGEST_TOTAL
