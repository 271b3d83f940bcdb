"""The fault campaign: injects one fault at a time into real services and processes, then checks the indexes.

    __main__      the command line: chooses the faults and the load, and prints the table
    services      PostgreSQL, Redis and Elasticsearch for the campaign alone, in a folder and on ports of their own
    databases     operations on whole databases: copy, dump, restore
    cast          the users that write and read
    application   the web, worker and beat processes under test
    proxy         a TCP proxy between the application and Elasticsearch that can delay responses
    doomed        a Celery worker that dies at a chosen step
    history       what was committed when, and therefore what each reader must not find
    writers       a mix of writes through the actions
    readers       continuous searches, checked against the history
    faults        the faults themselves
    verdict       compares both indexes with the record at the end
    episode       runs faults in one installation, from its setup to the verdicts

Nothing here is installed with the application, and the application does not know about it.
"""
