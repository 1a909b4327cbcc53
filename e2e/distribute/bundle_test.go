package distribute_test

import (
	"archive/tar"
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// pack makes a tarball of a directory as it is: no check of what it holds.
func pack(ts *testscript.TestScript, _ *story, args []string) {
	file, err := os.Create(ts.MkAbs(args[0]))
	ts.Check(err)
	compressed := gzip.NewWriter(file)
	archive := tar.NewWriter(compressed)
	root := ts.MkAbs(args[1])
	ts.Check(filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if err := archive.WriteHeader(&tar.Header{Name: filepath.ToSlash(name), Mode: 0o644, Size: int64(len(text))}); err != nil {
			return err
		}
		_, err = archive.Write(text)
		return err
	}))
	ts.Check(errors.Join(archive.Close(), compressed.Close(), file.Close()))
}

// unpack writes the files of a bundle that the story made itself.
func unpack(ts *testscript.TestScript, _ *story, args []string) {
	file, err := os.Open(ts.MkAbs(args[0]))
	ts.Check(err)
	defer func() { _ = file.Close() }()
	compressed, err := gzip.NewReader(file)
	ts.Check(err)
	for archive := tar.NewReader(compressed); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		ts.Check(err)
		text, err := io.ReadAll(archive)
		ts.Check(err)
		name := filepath.Join(ts.MkAbs(args[1]), filepath.FromSlash(header.Name))
		ts.Check(os.MkdirAll(filepath.Dir(name), 0o755))
		ts.Check(os.WriteFile(name, text, 0o644))
	}
}

func corrupt(ts *testscript.TestScript, _ *story, args []string) {
	text := []byte(ts.ReadFile(args[0]))
	text[len(text)/2] ^= 1
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), text, 0o600))
}

func halve(ts *testscript.TestScript, _ *story, args []string) {
	text := ts.ReadFile(args[0])
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text[:len(text)/2]), 0o600))
}

// hostile makes what no builder does.
func hostile(ts *testscript.TestScript, _ *story, args []string) {
	file, err := os.Create(ts.MkAbs(args[0]))
	ts.Check(err)
	compressed := gzip.NewWriter(file)
	archive := tar.NewWriter(compressed)
	add := func(header tar.Header, content io.Reader) {
		header.Mode = 0o644
		ts.Check(archive.WriteHeader(&header))
		_, err := io.Copy(archive, content)
		ts.Check(err)
	}
	plain := func(name string, size int64, content io.Reader) {
		add(tar.Header{Name: name, Size: size}, io.LimitReader(content, size))
	}
	const manifest = `{"revision": "99", "roots": ["a"]}`
	plain(".manifest", int64(len(manifest)), strings.NewReader(manifest))
	switch args[1] {
	case "large": // packed, within what a file may have
		for _, name := range []string{"a", "b", "c"} {
			plain("a/"+name+"/data.json", 15<<20, rand.Reader)
		}
	case "bomb":
		for n := range 5 {
			plain(fmt.Sprintf("a/%d/data.json", n), 15<<20, zeros{})
		}
	case "path":
		plain("../../a/data.json", 2, strings.NewReader("{}"))
	case "link":
		add(tar.Header{Name: "a/data.json", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}, strings.NewReader(""))
	default:
		ts.Fatalf("got %q, want large, bomb, path or link", args[1])
	}
	ts.Check(errors.Join(archive.Close(), compressed.Close(), file.Close()))
}

// zeros have no end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func mintKey(ts *testscript.TestScript, _ *story, args []string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	private, err := x509.MarshalECPrivateKey(key)
	ts.Check(err)
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	ts.Check(err)
	for name, block := range map[string]*pem.Block{
		args[0] + ".pem": {Type: "EC PRIVATE KEY", Bytes: private}, args[0] + ".pub": {Type: "PUBLIC KEY", Bytes: public},
	} {
		ts.Check(os.WriteFile(ts.MkAbs(name), pem.EncodeToMemory(block), 0o600))
	}
}
