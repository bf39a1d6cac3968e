"""Print JSON lines of benchmarks as a table: bench_table.py FILE…  A ratio above 1 means that ours is better."""

import json
import sys
from pathlib import Path


def main():
    """Print every line of the files; lines beginning with # are remarks and printed as they are."""
    print(f"{'case':26} {'metric':10} {'value':>12} {'least':>12} {'unit':6} {'peer':>12} {'peer value':>12} {'ratio':>7}")
    for path in sys.argv[1:]:
        for line in Path(path).read_text(encoding="utf-8").splitlines():
            if line.startswith("#"):
                print(line)
                continue
            row = json.loads(line)
            least = f"{row['least']:12.2f}" if row.get("least") is not None else " " * 12
            peer = f"{row['peer']:>12} {row['peer_value']:12.2f} {row['ratio']:7.2f}" if row.get("peer") else ""
            print(f"{row['case']:26} {row['metric']:10} {row['value']:12.2f} {least} {row['unit']:6} {peer}")


if __name__ == "__main__":
    main()
