"""scalinglab: with a fixed amount of compute, pretrain a bigger model or let a smaller one think longer?

The package is a pipeline, read in this order: ``specs``, ``flops``, ``samples``, ``ledger``, ``curves``,
``policy``, ``exchange``, ``plots``, ``report``, ``cli``. Import what you need from its module.
"""

__version__ = "0.1.0"
