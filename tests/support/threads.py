"""Jobs on threads of their own."""

import threading


def run_all(jobs):
    """Run each job on a thread of its own, all at the same time; hand on the first error."""
    errors, start = [], threading.Barrier(len(jobs))

    def guarded(job):
        start.wait()
        try:
            job()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def on_another_thread(make):
    """What another thread makes."""
    found = []
    run_all([lambda: found.append(make())])
    return found[0]
