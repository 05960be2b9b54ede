# The fusion node on ROS 2 Jazzy. Build:  docker build -t fusion .
# Run:  docker run --rm --gpus all --net=host --ipc=host \
#         -v fusion_data:/data -v "$PWD/calibration:/calibration:ro" \
#         fusion rgb_topic:=/camera/image_raw calibration:=/calibration/boson_640.yaml
# The memory bank lies on the volume fusion_data and outlives the container. Without a GPU leave out
# --gpus all. --ipc=host lets shared memory reach the camera drivers, which must run as the same user.
FROM ros:jazzy-ros-base

ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility,video \
    PIP_NO_CACHE_DIR=1 \
    ROS_HOME=/data \
    VIRTUAL_ENV=/opt/fusion/venv \
    PATH=/opt/fusion/venv/bin:$PATH

SHELL ["/bin/bash", "-o", "pipefail", "-c"]

RUN apt-get update \
    && apt-get install -y --no-install-recommends python3-venv python3-numpy ros-jazzy-vision-msgs \
        ros-jazzy-visualization-msgs \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/fusion
COPY pyproject.toml constraints.txt LICENSE README.md ./
COPY fusion_core fusion_core
COPY fusion_lab fusion_lab
# ROS's compiled messages fit the system's numpy only, so that is the one to keep.
RUN python3 -m venv --system-site-packages venv \
    && python3 -c 'import numpy; print("numpy==" + numpy.__version__)' > numpy.txt \
    && pip install -c constraints.txt -c numpy.txt .

COPY ros2_ws/src ros2_ws/src
# Built with the environment's python, which is then the one that the node starts with.
RUN source /opt/ros/jazzy/setup.bash \
    && cd ros2_ws \
    && python3 -m colcon build

# On SIGTERM `ros2 launch` ends without its node, whose memory bank would then not be saved.
STOPSIGNAL SIGINT
COPY scripts/docker-entrypoint /usr/local/bin/docker-entrypoint
ENTRYPOINT ["docker-entrypoint"]
VOLUME /data
CMD []
