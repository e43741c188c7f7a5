#!/usr/bin/env bash
# A throw-away SLURM cluster on one Debian machine, to try and test the profile next to this file:
# two nodes of four CPUs (`cpu1`, and `gpu1` with two fake GPUs), the partitions and the account in
# config.yaml, and accounting. All its files (keys, database, sockets, logs) are in one folder. Its daemons
# run as the user who starts it, on free loopback ports, and no service of the machine is touched.
#
#   cluster.sh install    the Debian packages (root); their own services are not started
#   cluster.sh start      start it and print how to use it
#   cluster.sh status     nodes and jobs
#   cluster.sh stop       end its jobs and daemons, delete its folder
#
# CLUSTER_DIR is the folder: /tmp/nli-cluster-$UID if not set.
set -euo pipefail

DIR=${CLUSTER_DIR:-/tmp/nli-cluster-$(id -u)}
USER_NAME=$(id -un)
HOST=$(hostname -s)
PACKAGES=(slurmctld slurmd slurmdbd slurm-client munge mariadb-server-core mariadb-client-core)
ACCOUNT=study
export PATH=$PATH:/usr/sbin
export SLURM_CONF=$DIR/slurm.conf

fail() {
    echo "error: $*" >&2
    exit 1
}

install() {
    [ "$(id -u)" = 0 ] || fail "only root can install packages: sudo $0 install"
    local policy=/usr/sbin/policy-rc.d
    # Debian starts a package's service when it installs it, unless this file forbids it.
    if [ ! -e "$policy" ]; then
        trap "rm -f $policy" EXIT
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod +x "$policy"
    fi
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${PACKAGES[@]}" >/dev/null
}

# Try a command twice a second until it succeeds, for at most a minute.
wait_for() {
    local what=$1 deadline=$((SECONDS + 60))
    shift
    while [ $SECONDS -lt $deadline ]; do
        if "$@" >/dev/null 2>&1; then return; fi
        sleep 0.5
    done
    tail --lines=5 "$DIR"/log/*.log >&2 || true
    fail "$what did not come up in a minute; the ends of the logs in $DIR/log are above"
}

free_ports() {
    python3 - "$1" <<'PYTHON'
import socket
import sys

sockets = [socket.socket() for _ in range(int(sys.argv[1]))]
for each in sockets:
    each.bind(("127.0.0.1", 0))
print(*(each.getsockname()[1] for each in sockets))
PYTHON
}

write_slurm_conf() {
    cat >"$DIR/slurm.conf" <<CONF
ClusterName=throwaway
SlurmctldHost=$HOST(127.0.0.1)
SlurmUser=$USER_NAME
SlurmdUser=$USER_NAME
AuthType=auth/munge
# A job that lost its node restarts when its old credential has expired, by default after 120 s.
AuthInfo=socket=$DIR/munge.socket,cred_expire=10
SlurmctldPort=$1
SlurmctldPidFile=$DIR/slurmctld.pid
SlurmctldLogFile=$DIR/log/slurmctld.log
SlurmdPidFile=$DIR/slurmd-%n.pid
SlurmdLogFile=$DIR/log/slurmd-%n.log
SlurmdSpoolDir=$DIR/spool-%n
StateSaveLocation=$DIR/state
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=$HOST
AccountingStoragePort=$2
AccountingStoragePass=$DIR/munge.socket
# Refuse jobs of unknown accounts, as most clusters do.
AccountingStorageEnforce=associations
AccountingStorageTRES=gres/gpu
AccountingStoreFlags=job_comment
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
# No control groups, which a container or an older machine may lack: processes and their memory are found by
# polling, and a job that uses more than it requested is killed.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=2
JobAcctGatherParams=OverMemoryKill
MpiDefault=none
ReturnToService=1
KillWait=5
MinJobAge=60
SchedulerParameters=sched_interval=5,sched_min_interval=100000,bf_interval=5
# Allow the nodes more CPUs and memory than this machine has.
SlurmdParameters=config_overrides
GresTypes=gpu
NodeName=cpu1 NodeHostname=$HOST NodeAddr=127.0.0.1 Port=$3 CPUs=4 RealMemory=16000
NodeName=gpu1 NodeHostname=$HOST NodeAddr=127.0.0.1 Port=$4 CPUs=4 RealMemory=16000 Gres=gpu:2 Weight=2
PartitionName=cpu Nodes=cpu1,gpu1 Default=YES MaxTime=1-00:00:00
PartitionName=gpu Nodes=gpu1 MaxTime=1-00:00:00
CONF
    echo "CgroupPlugin=cgroup/v1" >"$DIR/cgroup.conf"
    echo "NodeName=gpu1 Name=gpu File=/dev/null,/dev/zero" >"$DIR/gres.conf"
}

# slurmdbd reads slurmdbd.conf next to SLURM_CONF, and only if nobody else can read it.
write_slurmdbd_conf() {
    (
        umask 077
        cat >"$DIR/slurmdbd.conf" <<CONF
DbdHost=$HOST
DbdPort=$1
SlurmUser=$USER_NAME
AuthType=auth/munge
AuthInfo=socket=$DIR/munge.socket
PidFile=$DIR/slurmdbd.pid
LogFile=$DIR/log/slurmdbd.log
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort=$2
StorageUser=slurm
StoragePass=$3
StorageLoc=slurm
CONF
    )
}

# SLURM's commands for this cluster. The plugin clears SLURM_CONF from a job's environment, but not PATH.
write_commands() {
    local command
    for command in sbatch srun squeue sinfo sacct sacctmgr scancel scontrol sshare; do
        printf '#!/bin/sh\nSLURM_CONF=%s exec %s "$@"\n' "$SLURM_CONF" "$(command -v "$command")" \
            >"$DIR/bin/$command"
        chmod +x "$DIR/bin/$command"
    done
}

start_munge() {
    head -c 1024 /dev/urandom >"$DIR/munge.key"
    chmod 400 "$DIR/munge.key"
    munged --key-file="$DIR/munge.key" --socket="$DIR/munge.socket" --pid-file="$DIR/munged.pid" \
        --log-file="$DIR/log/munged.log" --seed-file="$DIR/munge.seed"
    wait_for munged munge --socket="$DIR/munge.socket" --no-input
}

start_database() {
    local port=$1 password=$2
    mariadb-install-db --no-defaults --user="$USER_NAME" --datadir="$DIR/database" --skip-test-db \
        --auth-root-authentication-method=socket >"$DIR/log/mariadb-install.log"
    (
        umask 077
        cat >"$DIR/database.sql" <<SQL
CREATE DATABASE slurm;
CREATE USER slurm@'127.0.0.1' IDENTIFIED BY '$password';
GRANT ALL ON slurm.* TO slurm@'127.0.0.1';
SQL
    )
    mariadbd --no-defaults --user="$USER_NAME" --datadir="$DIR/database" --socket="$DIR/mariadb.socket" \
        --pid-file="$DIR/mariadbd.pid" --bind-address=127.0.0.1 --port="$port" --skip-name-resolve \
        --init-file="$DIR/database.sql" --innodb-lock-wait-timeout=900 --log-error="$DIR/log/mariadbd.log" \
        </dev/null >/dev/null 2>&1 &
    MYSQL_PWD=$password wait_for MariaDB mariadb --no-defaults --host=127.0.0.1 --port="$port" --user=slurm \
        --execute="SELECT 1"
}

nodes_are_idle() {
    [ "$(sinfo --noheader --Node --partition=cpu --format=%T | sort -u)" = idle ]
}

start() {
    local command controller_port dbd_port cpu_port gpu_port database_port password
    for command in slurmctld slurmd slurmdbd munged mariadbd mariadb-install-db; do
        command -v "$command" >/dev/null || fail "$command is not installed: sudo $0 install"
    done
    getent hosts "$HOST" >/dev/null || fail "this machine's own name, $HOST, does not resolve: add it to /etc/hosts"
    [ ! -e "$DIR" ] || fail "$DIR exists: the cluster runs already, or stop it first: $0 stop"
    mkdir -m 711 "$DIR" # munge refuses a socket that others cannot reach; secret files have mode 600
    mkdir "$DIR/bin" "$DIR/log" "$DIR/state"
    read -r controller_port dbd_port cpu_port gpu_port database_port <<<"$(free_ports 5)"
    password=$(head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n')
    write_slurm_conf "$controller_port" "$dbd_port" "$cpu_port" "$gpu_port"
    write_commands
    write_slurmdbd_conf "$dbd_port" "$database_port" "$password"
    start_munge
    start_database "$database_port" "$password"
    slurmdbd
    wait_for slurmdbd sacctmgr --noheader list cluster
    sacctmgr --immediate --quiet add cluster throwaway >/dev/null
    sacctmgr --immediate --quiet add account "$ACCOUNT" cluster=throwaway >/dev/null
    sacctmgr --immediate --quiet add user "$USER_NAME" account="$ACCOUNT" cluster=throwaway >/dev/null ||
        sacctmgr --immediate --quiet modify user "$USER_NAME" set defaultaccount="$ACCOUNT" >/dev/null
    slurmctld -c
    wait_for slurmctld scontrol ping
    slurmd -N cpu1
    slurmd -N gpu1
    wait_for "the two nodes" nodes_are_idle
    explain
}

explain() {
    cat <<TEXT
The cluster is up: two nodes of four CPUs, one with two pretended GPUs. In a shell with .venv activated:
  export PATH=$DIR/bin:\$PATH
  snakemake --profile profiles/slurm --sdm env-modules
  squeue; sacct; sinfo
\`make cluster-stop\` ends it.
TEXT
}

# Whether a process still runs. A finished one remains a zombie (state Z) until its parent reads its status, which the
# first process of some containers never does. The state is the field after the name in parentheses.
runs() {
    local stat
    read -r stat 2>/dev/null <"/proc/$1/stat" || return 1
    stat=${stat##*) }
    [ "${stat%% *}" != Z ]
}

# Stop a daemon by its pid file and wait until it is gone, for at most half a minute.
end() {
    local pid _
    [ -s "$1" ] || return 0
    pid=$(cat "$1")
    kill "$pid" 2>/dev/null || return 0
    for _ in $(seq 60); do
        runs "$pid" || return 0
        sleep 0.5
    done
    kill -KILL "$pid" 2>/dev/null || true
}

# A job whose node was set down can leave a process that SLURM no longer knows; its environment shows its cluster.
end_leftovers() {
    local each
    for each in /proc/[0-9]*; do
        if grep -qsz "^SLURMD_NODENAME=" "$each/environ" && grep -qszF "PATH=$DIR/bin:" "$each/environ"; then
            kill -KILL "${each#/proc/}" 2>/dev/null || true
        fi
    done
}

no_job_is_left() {
    [ -z "$(timeout 20 squeue --noheader 2>/dev/null)" ]
}

stop() {
    local name _
    [ -e "$DIR/slurm.conf" ] || fail "no cluster in $DIR"
    timeout 20 scancel --quiet --user="$USER_NAME" 2>/dev/null || true
    for _ in $(seq 30); do
        if no_job_is_left; then break; fi
        sleep 1
    done
    for name in slurmd-cpu1 slurmd-gpu1 slurmctld slurmdbd mariadbd munged; do
        end "$DIR/$name.pid"
    done
    end_leftovers
    rm -rf "$DIR"
}

status() {
    [ -e "$DIR/slurm.conf" ] || fail "no cluster in $DIR"
    sinfo --Node --long
    squeue
}

case ${1:-} in
install | start | stop | status) "$1" ;;
*) sed -n '2,/^set/s/^# \{0,1\}//p' "$0" && exit 2 ;;
esac
