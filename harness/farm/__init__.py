"""Measure on other machines: workers offer their platforms to a Dask scheduler, and benches send networks there.

The engine is ``dask.distributed``. What is ours is what is special: a token per physical device, environments that are
verified with every result, and orders that survive whatever breaks. Nothing of Dask is imported before a farm is used.

==============  ========================================================================
``offer``       what a worker offers, and under which resources the scheduler knows it
``service``     the worker's side: benches that are open, orders that are carried out
``worker``      the process that joins the scheduler; ``supervisor`` keeps it alive
``news``        what a worker tells of an order before it is done
``cluster``     the client's side: a connection that comes back, orders that are repeated
``bench``       a ``hwnas.harness.bench.Bench`` whose networks are measured by workers
``farm``        where platforms of the farm are found by name
``local``       a scheduler and workers on this machine
``status``      what workers, devices and queue are at
==============  ========================================================================
"""
