# Makes disk.img in the current directory, without loop devices: a tree by mmdebstrap, an ext4 file
# system of it behind the first MiB, GRUB's boot.img in sector 0 and its core behind.
set -e
mmdebstrap --quiet --architectures=i386 --variant=minbase \
    --include=systemd-sysv,udev,linux-image-686,kmod,e2fsprogs,login,passwd bookworm root http://deb.debian.org/debian
chroot root sh -c 'echo root:ringer | chpasswd'
echo ringer >root/etc/hostname
echo '/dev/sda1 / ext4 rw 0 1' >root/etc/fstab
kernel=$(basename root/boot/vmlinuz-*)
initrd=$(basename root/boot/initrd.img-*)
mkdir -p root/boot/grub
cat >root/boot/grub/grub.cfg <<GRUB
linux /boot/$kernel root=/dev/sda1 ro console=tty0 console=ttyS0,115200 mitigations=off
initrd /boot/$initrd
boot
GRUB
rm -rf root/var/cache/apt/* root/var/lib/apt/lists/*
truncate -s 1280M disk.tmp
printf 'label: dos\n2048,,83,*\n' | sfdisk -q disk.tmp
mke2fs -q -t ext4 -d root -E offset=1048576 disk.tmp 1309696k
grub-mkimage -O i386-pc -p '(hd0,msdos1)/boot/grub' -o core.img \
    biosdisk part_msdos ext2 normal linux boot configfile minicmd
dd if=/usr/lib/grub/i386-pc/boot.img of=disk.tmp bs=1 count=440 conv=notrunc status=none
dd if=core.img of=disk.tmp bs=512 seek=1 conv=notrunc status=none
rm -rf root core.img
mv disk.tmp disk.img
