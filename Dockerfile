# The fusion node on ROS 2 Jazzy. Build:  docker build -t fusion .
# Run:  docker run --rm --gpus all --net=host --ipc=host \
#         -v fusion_data:/data -v "$PWD/calibration:/calibration:ro" \
#         fusion rgb_topic:=/camera/image_raw calibration:=/calibration/boson_640.yaml
# The memory bank lies on the volume fusion_data and outlives the container. Without a GPU leave out
# --gpus all, and build a third of the size with
#   --build-arg PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu
# --ipc=host lets shared memory reach the camera drivers, which must run as the same user: 1000, or
# another one by --build-arg UID=... . compose.yaml plays a recording as the cameras.

# What is needed to run: ros-core has no compiler, ros-base has.
FROM ros:jazzy-ros-core AS runtime

SHELL ["/bin/bash", "-o", "pipefail", "-c"]

# The distribution's own versions, which fit each other.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3-numpy ros-jazzy-tf2-msgs ros-jazzy-tf2-ros \
        ros-jazzy-vision-msgs ros-jazzy-visualization-msgs \
    && rm -rf /var/lib/apt/lists/*

ENV VIRTUAL_ENV=/opt/fusion/venv \
    PATH=/opt/fusion/venv/bin:$PATH

WORKDIR /opt/fusion

FROM runtime AS build

SHELL ["/bin/bash", "-o", "pipefail", "-c"]

ARG EXTRAS=foxglove,torch
ARG PIP_EXTRA_INDEX_URL

# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3-venv \
    && rm -rf /var/lib/apt/lists/*

COPY pyproject.toml constraints.txt LICENSE README.md ./
COPY fusion_core fusion_core
COPY fusion_lab fusion_lab
# Before the tools below, whose Python packages the result does not have. ROS's compiled messages fit
# the system's numpy only, so that is the one to keep.
RUN python3 -m venv --system-site-packages venv \
    && python3 -c 'import numpy; print("numpy==" + numpy.__version__)' > numpy.txt \
    && pip install --no-cache-dir -c constraints.txt -c numpy.txt ".[$EXTRAS]"

# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3-colcon-bash python3-colcon-ros \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/fusion/ros2_ws
COPY ros2_ws/src src
# Built with the environment's python, which is then the one that the node starts with.
RUN . /opt/ros/jazzy/setup.bash \
    && python3 -m colcon build

FROM runtime

SHELL ["/bin/bash", "-o", "pipefail", "-c"]

ARG UID=1000

# The image of Ubuntu has a user 1000 already.
RUN useradd --non-unique --uid "$UID" --create-home fusion \
    && install -d -o "$UID" /data \
    && for name in cc gcc g++ c++ clang; do ! command -v "$name" || exit 1; done

COPY --from=build /opt/fusion/venv venv
COPY --from=build /opt/fusion/ros2_ws/install ros2_ws/install
COPY scripts/docker-entrypoint scripts/docker-healthcheck /usr/local/bin/

ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility,video \
    HOME=/home/fusion \
    ROS_HOME=/data

USER $UID
VOLUME /data
HEALTHCHECK --interval=30s --timeout=20s --start-period=120s --retries=3 CMD ["docker-healthcheck"]
# On SIGTERM `ros2 launch` ends without its node, whose memory bank would then not be saved.
STOPSIGNAL SIGINT
ENTRYPOINT ["docker-entrypoint"]
CMD []
