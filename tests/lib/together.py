# SPDX-License-Identifier: BSD-2-Clause
"""Several things at once, and what of them went wrong."""
import threading
import time


def together(*jobs):
    """Runs each, a function or one with its arguments, in a thread of its own; answers a line for each that failed."""
    failures = []

    def one(function, *args):
        start = time.monotonic()
        try:
            function(*args)
        except (Exception, SystemExit) as error:
            what = ' '.join([function.__name__, *map(str, args)])
            failures.append(f'{what}, after {time.monotonic() - start:.1f} s: {error if str(error) else repr(error)}')
    threads = [threading.Thread(target=one, args=job if isinstance(job, tuple) else (job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failures
