#!/bin/sh
# numa_guest.sh - voxloom on a machine with two NUMA nodes, where there is none: a guest in software emulation.
#
#   perf/numa_guest.sh BUILD KERNEL.deb [OUT]
#
# BUILD holds voxloom and voxloom-worker; KERNEL.deb is one of Debian's linux-image-*-cloud-amd64 packages (apt-get download).
# Boots qemu with two nodes of two cores and 1.5 GiB each, and an ext4 disk; makes six phantoms; runs tests/programs/folder.imgql on
# them with four pinned workers, and meanwhile reads each worker's affinity and numa_maps. OUT (default: numa.log) receives the guest's
# console: topology, and per worker and extent file the pages on each node. Needs qemu-system-x86, busybox-static, e2fsprogs, cpio.
set -eu
build=$(cd "$1" && pwd)
kernel=$2
out=${3:-numa.log}
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/voxloom-numa.XXXXXX")
trap 'rm -rf "$work"' EXIT

dpkg-deb -x "$kernel" "$work/kernel"
modules=$(echo "$work"/kernel/lib/modules/*/kernel)
guest=$work/guest
mkdir -p "$guest/bin" "$guest/modules" "$guest/proc" "$guest/sys" "$guest/dev" "$guest/disk" "$guest/lib64"
cp /bin/busybox "$guest/bin/busybox"
cp "$build/voxloom" "$build/voxloom-worker" "$guest/bin/"
cp "$root/tests/programs/folder.imgql" "$guest/"
for library in $(ldd "$build/voxloom" "$build/voxloom-worker" | grep -oE '/[^ ]+' | grep -v ':' | sort -u); do
    mkdir -p "$guest$(dirname "$library")"
    cp -L "$library" "$guest$library"
done
for module in virtio virtio_ring virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_blk; do
    found=$(find "$modules" -name "$module.ko" | head -n 1)
    [ -z "$found" ] || cp "$found" "$guest/modules/"
done

cat >"$guest/init" <<'INIT'
#!/bin/busybox sh
/bin/busybox mkdir -p /usr/bin /sbin /tmp
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for m in virtio virtio_ring virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_blk; do
    [ -f /modules/$m.ko ] && insmod /modules/$m.ko
done
mount -t ext4 /dev/vda /disk || echo "no disk"
cd /disk
export HOME=/disk
for node in 0 1; do echo "node $node: cpus $(cat /sys/devices/system/node/node$node/cpulist)"; done
mkdir -p cases
for seed in 0 1 2 3 4 5; do voxloom phantom cases/case_$seed.nii.gz --size 128x128x96 --seed $seed >/dev/null; done
cp /folder.imgql .
voxloom run folder.imgql --store store --workers 4 --set io.ring=posix --no-progress >run.out 2>run.err &
run=$!
look=0
while kill -0 $run 2>/dev/null; do
    for pid in $(pidof voxloom-worker); do
        cp /proc/$pid/numa_maps maps.$pid.new 2>/dev/null && grep Cpus_allowed_list /proc/$pid/status >affinity.$pid &&
            grep '\.ext' maps.$pid.new >>maps.$pid
    done
    usleep 100000
    look=$((look + 1))
done
echo "looked $look times"
cat run.out run.err
for maps in maps.*; do
    case $maps in *.new) continue ;; esac
    pid=${maps#maps.}
    echo "worker $pid: $(cat affinity.$pid)"
    sed 's/.*file=[^ ]*\/\([0-9a-f]*\.ext\)/\1/' $maps | awk '{ n0 = n1 = 0; for (i = 2; i <= NF; i++) {
        if ($i ~ /^N0=/) n0 = substr($i, 4); if ($i ~ /^N1=/) n1 = substr($i, 4) }
        a[$1] += n0; b[$1] += n1; c[$1]++ }
        END { for (f in c) printf "  %s: %d views seen, pages on node 0: %d, on node 1: %d\n", f, c[f], a[f], b[f] }'
done
echo "extent files by node (page cache, after the run):"
for f in store/extents/*.ext; do ls -l $f | awk '{ print "  ", $9, $5 }'; done
poweroff -f
INIT
chmod +x "$guest/init"
(cd "$guest" && find . | cpio -o -H newc --quiet | gzip -1 >"$work/initrd")
truncate -s 2G "$work/disk"
mkfs.ext4 -q -F "$work/disk"
qemu-system-x86_64 -accel tcg,thread=multi -cpu max -machine q35 -m 3G -smp 4,sockets=2,cores=2 -nographic -no-reboot \
    -object memory-backend-ram,id=m0,size=1536M -object memory-backend-ram,id=m1,size=1536M \
    -numa node,nodeid=0,memdev=m0,cpus=0-1 -numa node,nodeid=1,memdev=m1,cpus=2-3 \
    -kernel "$work"/kernel/boot/vmlinuz-* -initrd "$work/initrd" -append "console=ttyS0 quiet panic=-1" \
    -drive "file=$work/disk,format=raw,if=virtio" </dev/null >"$out" 2>&1
tr -d '\r' <"$out" | sed -n '/^node 0/,$p'
