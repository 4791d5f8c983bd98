"""Measure on other machines: workers offer their platforms to a Dask scheduler, and benches send networks to them.

It is built on ``dask.distributed``, and adds a token per physical device, environments that are verified with every
result, and jobs that are repeated when a worker or the scheduler is lost. Dask is imported only if a farm is used.

==============  ========================================================================
``offer``       what a worker offers, and as which resources the scheduler counts it
``service``     the worker's side: carries out orders on the benches of ``open_benches``
``worker``      the process that joins the scheduler; ``supervisor`` restarts it
``reports``     reports from a worker about an order before it is done
``cluster``     the client's side: a connection that recovers, jobs that are repeated
``bench``       a ``hwnas.harness.bench.bench.Bench`` whose networks are measured by workers
``platforms``   finds platforms of the farm by name
``local``       a scheduler and workers on this machine
``status``      the state of workers, devices and queue
==============  ========================================================================
"""
