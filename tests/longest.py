"""The test files that take longest, in the order in which the processes of `make test` begin them.

A file runs in one process. One that takes minutes and begins last leaves the others without work;
pytest-xdist by itself begins with the most tests. `make test` prints the slowest tests.
"""

FIRST = (
    "tests/test_readme.py",
    "tests/test_pages.py",
    "experiments/tests/test_published_trees.py",
    "experiments/tests/test_unknown_devices.py",
    "tests/test_kills.py",
    "tests/test_benchmarks.py",
    "tests/cli/test_cli_stream.py",
    "tests/test_getting_started.py",
    "experiments/tests/test_xu2018.py",
    "tests/test_same_answer.py",
    "tests/test_good_citizen.py",
    "tests/test_optional.py",
    "tests/training/test_starting.py",
    "experiments/tests/test_codecs.py",
    "experiments/tests/test_peters2022.py",
    "tests/cli/test_streams.py",
    "experiments/tests/test_pretrained.py",
    "tests/exporters/test_export.py",
    "tests/importers/test_import_yamnet.py",
    "tests/inference/test_many_files.py",
    "tests/test_malformed_files.py",
    "tests/serving/test_decoders.py",
    "tests/serving/test_attack.py",
    "tests/serving/test_limits.py",
    "experiments/tests/test_kosmider2019.py",
    "experiments/tests/test_kosmider2019_identification.py",
    "tests/fuzz/test_fuzz.py",
    "tests/test_extending.py",
    "tests/test_bad_input.py",
)
