import pytest
from servers import serving


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory):
    """Address of a server in this process."""
    bind = f"ipc://{tmp_path_factory.mktemp('server')}/engine"
    with serving(bind):
        yield bind
