"""The fault campaign: real services, real processes, one fault at a time, and proof that the index came out right.

    __main__      the command line: which faults, how many writes; prints the table
    surroundings  PostgreSQL, Redis and Elasticsearch of its own, in a folder and on ports that nobody else uses
    databases     what is done to whole databases: copy, dump, restore
    cast          who writes and who reads
    application   the web, worker and beat processes under test
    proxy         stands between the application and Elasticsearch, and can be slow
    doomed        a Celery worker that dies at a chosen step
    history       what was committed when, and so who must not find what
    writers       mixed writes through the actions
    readers       searches all the while, judged by the history
    faults        what goes wrong
    verdict       whether both indexes equal the record in the end
    episode       one fault from the start to the verdict

Nothing here is part of the installation, and nothing in the installation knows of it.
"""
