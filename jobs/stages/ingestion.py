def prepare(inputs, report):
    raise OSError
