"""Run every benchmark and write its table: `make bench`. Each script says what it claims, resumes, and writes to benchmarks/results."""
import subprocess, sys
from pathlib import Path

here = Path(__file__).parent
for script in ('speed.py', 'module_truth.py'):
    print(f'== {script}', flush=True)
    subprocess.run([sys.executable, here/script], check=True)
