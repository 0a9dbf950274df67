# Runs each program over input that is made here, in a guest and natively alike, and prints
# "@@ NAME HASH" for each. Natively, ROOT is where the packages were unpacked, and LD the command
# that starts their programs with their libraries.
B=$ROOT/bin/busybox
export LC_ALL=C TZ=UTC0 OPENSSL_CONF=/dev/null

run() {
    program=$ROOT/usr/bin/$1
    [ -f "$program" ] || program=$ROOT/bin/$1
    shift
    $LD "$program" "$@"
}
report() {
    echo "@@ $1 $($B sha256sum | $B cut -d ' ' -f 1)"
}

# 60 KB of words and numbers
run mawk 'BEGIN {
    s = 1
    for (n = 0; n < 1500; n++) {
        line = n
        for (k = 0; k < 6; k++) { s = (s * 16807) % 2147483647; line = line " " substr("theguestcannottell", s % 17 + 1, 4) s % 97 }
        print line
    }
}' > input
report mawk < input
run mawk '{ for (n = 1; n <= NF; n++) count[$n]++ }
    END { for (w in count) if (count[w] > 9) printf "%s %d %.6f %.6f\n", w, count[w], log(count[w]), sin(count[w]) }' input | $B sort | report mawk-words

run gzip -9nc input > input.gz
report gzip < input.gz
run gzip -dc input.gz | report gunzip
run bzip2 -9c input > input.bz2
report bzip2 < input.bz2
run bzip2 -dc input.bz2 | report bunzip2
run xz -2 -T1 -c input > input.xz
report xz < input.xz
run xz -dc input.xz | report unxz
run zstd -q -7 --single-thread -c input > input.zst
report zstd < input.zst
run zstd -qdc input.zst | report unzstd

echo 'scale=90; 4*a(1); e(1); sqrt(2); for (n = 1; n < 60; n++) { f = n; for (k = n - 1; k > 1; k--) f *= k; f }' | run bc -lq | report bc

run lua5.4 -e '
local words, t = {}, 0
for line in io.lines("input") do
    for w in line:gmatch("%S+") do words[#words + 1] = w end
end
table.sort(words)
for n, w in ipairs(words) do t = (t * 31 + #w * n + w:byte(1)) % 1000000007 end
print(#words, t, string.format("%.12g %.12g %.12g", math.sin(t), math.exp(0.5), math.sqrt(t)))
local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end
print(fib(17), 1 << 40, 7 // 2, -7 % 3, 2^53, 1e300 * 1e10)
' | report lua

echo '
create table words(n integer primary key, w text, v real);
with recursive c(n) as (select 1 union all select n + 1 from c where n < 600)
insert into words select n, printf("w%04d", (n * 7919) % 1009), n / 7.0 from c;
create index by_word on words(w);
select count(*), sum(n), round(avg(v), 9), min(w), max(w) from words;
select substr(w, 1, 3) g, count(*), round(total(v), 6) from words group by g order by g;
select a.w, b.n from words a join words b on a.w = b.w and a.n < b.n order by 1, 2;
pragma integrity_check;' | run sqlite3 :memory: | report sqlite3

run perl -e '
my %n; open my $f, "<", "input" or die;
while (<$f>) { $n{$1}++ while /([a-z]+)\d*/g }
printf "%s %d\n", $_, $n{$_} for sort keys %n;
my @p = grep { my $x = $_; !grep { $x % $_ == 0 } 2 .. sqrt $x } 2 .. 500;
print "@p\n", unpack("%32C*", join "", @p), " ", 2 ** 0.5, " ", 10 / 3, "\n";' | report perl

{
    run openssl dgst -sha512 input | $B sed 's/.*= //'
    run openssl dgst -sha3-256 input | $B sed 's/.*= //'
    run openssl dgst -md5 input | $B sed 's/.*= //'
    run openssl enc -aes-256-cbc -K 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff -iv 0123456789abcdef0123456789abcdef -in input | $B sha256sum
    run openssl enc -chacha20 -K 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff -iv 0123456789abcdef0123456789abcdef -in input | $B sha256sum
    run openssl prime 1000000007
} | report openssl

{ $B sort -r input | $B md5sum; $B sha1sum < input; $B od -x input | $B tail -n 20; $B diff input input && echo same; } | report busybox
