package embedded

import (
	"archive/tar"
	"archive/zip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/ulikunitz/xz"

	"github.com/obole-market/obole/pkg/embedded/internal/maven"
)

// ErrNoPostgres says that no PostgreSQL was found or fetched; its text says what to install.
var ErrNoPostgres = errors.New("no PostgreSQL on this machine. Install it (Debian and Ubuntu: apt-get install postgresql; " +
	"Homebrew: brew install postgresql@17), or Maven, with which its binaries are fetched")

// oldest is the first major version whose behaviour this house is tested with.
const oldest = 15

// published are the binaries that are taken where none is installed: a jar that holds one xz-compressed tar.
var published = struct {
	artifact, version string
	sha256            map[string]string // of the jar, by platform
}{
	artifact: "io.zonky.test.postgres:embedded-postgres-binaries-",
	version:  "17.5.0",
	sha256: map[string]string{
		"linux-amd64":    "646f3269075d1a23904127374e3cdbcef96beb32979fedee25d835877400fcbe",
		"linux-arm64v8":  "e02f27ff50ff2d90b6541d54f3f108505aacd84ea53c2890e976a684bfea2752",
		"darwin-amd64":   "fb70f783928e77c3d6ef5ca8ed644f1ac502f740fcfc032a375c8347820f2bdd",
		"darwin-arm64v8": "e9d3398e10c2ec926395498b03e75ad1a24eeaed82895e756a7e173b202cf6de",
	},
}

// install is a folder with initdb, pg_ctl and postgres of one major version.
type install struct {
	bin   string
	major int
}

var versionOutput = regexp.MustCompile(`\(PostgreSQL\) (\d+)`)

// installs finds what is installed, newest first: PATH, then the versioned folders of Debian and Homebrew.
func installs(ctx context.Context) []install {
	var dirs []string
	if p, err := exec.LookPath("initdb"); err == nil {
		if p, err = filepath.EvalSymlinks(p); err == nil {
			dirs = append(dirs, filepath.Dir(p))
		}
	}
	for _, glob := range []string{
		"/usr/lib/postgresql/*/bin", "/opt/homebrew/opt/postgresql@*/bin", "/usr/local/opt/postgresql@*/bin",
		"/home/linuxbrew/.linuxbrew/opt/postgresql@*/bin", "/usr/pgsql-*/bin",
	} {
		found, _ := filepath.Glob(glob) // fails only on a bad pattern
		dirs = append(dirs, found...)
	}
	var all []install
	for _, dir := range dirs {
		if in, err := inspect(ctx, dir); err == nil && in.major >= oldest {
			all = append(all, in)
		}
	}
	slices.SortStableFunc(all, func(a, b install) int { return b.major - a.major })
	return all
}

func inspect(ctx context.Context, bin string) (install, error) {
	for _, program := range []string{"initdb", "pg_ctl"} {
		if _, err := os.Stat(filepath.Join(bin, program)); err != nil {
			return install{}, err
		}
	}
	out, err := exec.CommandContext(ctx, filepath.Join(bin, "postgres"), "--version").Output()
	if err != nil {
		return install{}, err
	}
	m := versionOutput.FindSubmatch(out)
	if m == nil {
		return install{}, fmt.Errorf("%s: unknown version %q", bin, out)
	}
	major, err := strconv.Atoi(string(m[1]))
	return install{bin: bin, major: major}, err
}

// binaries picks the binaries for data of a major version, 0 for data yet to be made.
func binaries(ctx context.Context, dir string, major int, progress func(string)) (install, error) {
	if dir != "" {
		in, err := inspect(ctx, dir)
		if err != nil {
			return install{}, fmt.Errorf("embedded: %w", err)
		}
		if major != 0 && in.major != major {
			return install{}, fmt.Errorf("embedded: the data are of PostgreSQL %d, the binaries in %s of %d", major, dir, in.major)
		}
		return in, nil
	}
	found := installs(ctx)
	for _, in := range found {
		if major == 0 || in.major == major {
			return in, nil
		}
	}
	if v, _, _ := strings.Cut(published.version, "."); major == 0 || strconv.Itoa(major) == v {
		bin, err := fetch(ctx, progress)
		if err == nil {
			return inspect(ctx, bin)
		}
		if major == 0 {
			return install{}, fmt.Errorf("embedded: %w (%w)", ErrNoPostgres, err)
		}
	}
	return install{}, fmt.Errorf("embedded: the data are of PostgreSQL %d, which is not installed any more: install it again, "+
		"or move the data aside", major)
}

// fetch takes the published binaries and returns their folder.
func fetch(ctx context.Context, progress func(string)) (string, error) {
	platform := runtime.GOOS + "-" + strings.Replace(runtime.GOARCH, "arm64", "arm64v8", 1)
	sum, ok := published.sha256[platform]
	if !ok {
		return "", fmt.Errorf("nothing is published for %s", platform)
	}
	dir, err := maven.Once("postgres-"+published.version+"-"+sum[:8], func(dir string) error {
		progress("fetching PostgreSQL " + published.version)
		if err := maven.Copy(ctx, published.artifact+platform+":"+published.version, dir); err != nil {
			return err
		}
		jars, err := filepath.Glob(filepath.Join(dir, "*.jar"))
		if err != nil || len(jars) != 1 {
			return fmt.Errorf("%d jars came instead of one", len(jars))
		}
		defer os.Remove(jars[0])
		progress("unpacking PostgreSQL " + published.version)
		return unpack(ctx, jars[0], sum, dir)
	})
	return filepath.Join(dir, "bin"), err
}

// unpack writes the tar inside the jar into dir, after the jar's hash was found right.
func unpack(ctx context.Context, jar, sum, dir string) error {
	f, err := os.Open(jar)
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	size, err := io.Copy(h, f)
	if err != nil {
		return err
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != sum {
		return fmt.Errorf("SHA-256 is %s, want %s", got, sum)
	}
	z, err := zip.NewReader(f, size)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(z.File, func(f *zip.File) bool { return strings.HasSuffix(f.Name, ".txz") })
	if i < 0 {
		return errors.New("the jar holds no .txz")
	}
	packed, err := z.File[i].Open()
	if err != nil {
		return err
	}
	defer packed.Close()
	plain, err := xz.NewReader(packed)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(dir) // nothing in the archive gets out of it
	if err != nil {
		return err
	}
	defer root.Close()
	return untar(ctx, tar.NewReader(plain), root)
}

func untar(ctx context.Context, t *tar.Reader, root *os.Root) error {
	for ctx.Err() == nil {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name := filepath.Clean(h.Name)
		if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		switch h.Typeflag {
		case tar.TypeDir:
			err = root.MkdirAll(name, 0o755)
		case tar.TypeSymlink:
			err = root.Symlink(h.Linkname, name)
		case tar.TypeReg:
			err = write(t, root, name, h.FileInfo().Mode().Perm())
		}
		if err != nil {
			return err
		}
	}
	return ctx.Err()
}

func write(r io.Reader, root *os.Root, name string, mode os.FileMode) error {
	f, err := root.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, mode|0o444)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, f.Close())
}
