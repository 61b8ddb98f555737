# The full patch tag, so that a rebuild gives the same interpreter. A digest would pin harder, but only whoever pushes to a
# registry knows which one was reviewed there: pin it in that pipeline.
ARG PYTHON_IMAGE=python:3.11.14-slim-trixie

FROM ${PYTHON_IMAGE} AS build
WORKDIR /src
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
# The build backend and the dependencies from the locks, held by their hashes: a layer that a change of code keeps.
COPY requirements/build.txt requirements/runtime.txt requirements/
RUN python -m venv /build && /build/bin/pip install --only-binary :all: --require-hashes -r requirements/build.txt \
    && python -m venv --without-pip /opt/crmflow \
    && /build/bin/pip --python /opt/crmflow/bin/python install --only-binary :all: --require-hashes -r requirements/runtime.txt
COPY pyproject.toml README.md LICENSE ./
COPY operator/ operator/
# The plugin's command goes: what it needs is not in the image, since people run it on their own machines.
RUN /build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
    && /build/bin/pip --python /opt/crmflow/bin/python install --no-deps --no-index /wheels/*.whl \
    && rm /opt/crmflow/bin/kubectl-crmflow /opt/crmflow/bin/kubectl_complete-crmflow \
    && /opt/crmflow/bin/python -m compileall -q /opt/crmflow/lib

FROM ${PYTHON_IMAGE}
# No installer or build tool in the image that runs: what is not there cannot be used against it.
RUN python -m pip uninstall --yes setuptools wheel pip \
    && groupadd --gid 65532 crmflow \
    && useradd --uid 65532 --gid 65532 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin crmflow
COPY --from=build /opt/crmflow /opt/crmflow
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/opt/crmflow/bin/crmflow"]
CMD ["run"]
