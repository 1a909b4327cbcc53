package layers

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"path"
	"strings"
	"unicode/utf8"

	"github.com/klauspost/compress/zstd"

	"github.com/assay-dev/assay/builtins/oci/edge"
)

// Layer is what a manifest and a config file say of a layer.
type Layer struct {
	Digest string // of the bytes that a registry has
	Size   int64
	DiffID string // digest of those bytes when they are decompressed
}

// Apply reads the next layer: a tar, as it is or compressed by gzip or zstd. body is read to its end, which is an error
// of any code where it is not the layer's. After an error the Image says nothing that can be relied on.
func (i *Image) Apply(ctx context.Context, body io.Reader, layer Layer) error {
	i.layer++
	hashed := &hashing{from: body, sum: sha256.New()}
	applied := i.unpack(ctx, hashed, layer.DiffID)
	if applied != nil && !errors.Is(applied, edge.Malformed) && !errors.Is(applied, edge.DigestMismatch) {
		return applied
	}
	// For what is broken, that the bytes are not the layer's is the better reason.
	if _, err := io.Copy(io.Discard, hashed); err != nil {
		return refusal(err)
	}
	if hashed.n != layer.Size {
		return edge.Refuse(edge.DigestMismatch, "layer: got %d bytes or more, want the %d of its descriptor", hashed.n, layer.Size)
	}
	if got := hashed.digest(); got != layer.Digest {
		return edge.Refuse(edge.DigestMismatch, "layer: got bytes with digest %s, want %s", got, layer.Digest)
	}
	return applied
}

// unpack enters what the layer has.
func (i *Image) unpack(ctx context.Context, layer io.Reader, diffID string) error {
	unpacked, err := decompressed(layer)
	if err != nil {
		return refusal(err)
	}
	defer unpacked.Close()
	hashed := &hashing{from: &bounded{ctx: ctx, from: unpacked, left: &i.left, most: i.limits.Unpacked}, sum: sha256.New()}
	for archive := tar.NewReader(hashed); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return refusal(err)
		}
		i.entries++
		if err := i.enter(header, archive); err != nil {
			return refusal(err)
		}
		if err := i.check(ctx); err != nil {
			return err
		}
	}
	// What is behind the end of the archive is part of the layer as well.
	if _, err := io.Copy(io.Discard, hashed); err != nil {
		return refusal(err)
	}
	if got := hashed.digest(); got != diffID {
		return edge.Refuse(edge.DigestMismatch, "layer: got unpacked bytes with digest %s, want the diff ID %s", got, diffID)
	}
	return nil
}

// hashing hashes and counts what passes.
type hashing struct {
	from io.Reader
	sum  hash.Hash
	n    int64
}

func (h *hashing) Read(p []byte) (int, error) {
	n, err := h.from.Read(p)
	h.sum.Write(p[:n])
	h.n += int64(n)
	return n, err
}

func (h *hashing) digest() string { return "sha256:" + hex.EncodeToString(h.sum.Sum(nil)) }

// refusal gives a code to whatever ended a layer.
func refusal(err error) error {
	var own *edge.Error
	if errors.As(err, &own) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return edge.AsError("layer", err)
	}
	return &edge.Error{Code: edge.Malformed, Message: fmt.Sprintf("layer: got no tar archive: %.200s", err.Error()), Err: err}
}

// decompressed reads what a layer is compressed with from its first bytes, as containerd does; the diff ID says
// whether that was right. The window of zstd bounds memory: 8 MiB is what RFC 8878 wants decoders to have, and what
// encoders use unless they are told otherwise.
func decompressed(layer io.Reader) (io.ReadCloser, error) {
	start := bufio.NewReader(layer)
	magic, err := start.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		return gzip.NewReader(start)
	case bytes.HasPrefix(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}),
		len(magic) == 4 && magic[0]&0xf0 == 0x50 && bytes.Equal(magic[1:], []byte{0x2a, 0x4d, 0x18}): // a skippable frame
		reader, err := zstd.NewReader(start, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(8<<20))
		if err != nil {
			return nil, err
		}
		return reader.IOReadCloser(), nil
	}
	return io.NopCloser(start), nil
}

// bounded reads until the bytes of all layers are spent, or the context ends.
type bounded struct {
	ctx  context.Context
	from io.Reader
	left *int64
	most int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := b.from.Read(p)
	if *b.left -= int64(n); *b.left < 0 {
		return 0, edge.Refuse(edge.TooLarge, "layers: got more than %d bytes when decompressed", b.most)
	}
	return n, err
}

// enter applies one entry as a container runtime would that has unpacked all before it.
func (i *Image) enter(header *tar.Header, content io.Reader) error {
	if err := plain(header); err != nil {
		return err
	}
	name, err := cleaned(header.Name)
	if err != nil || name == "" { // the root is there anyway
		return err
	}
	dir, base := path.Split(name)
	parent, ok := i.resolve(dir)
	if !ok {
		return i.lost("the name", name)
	}
	hidden, hides := strings.CutPrefix(base, ".wh.")
	name = path.Join(parent, base)
	if header.Typeflag == tar.TypeXGlobalHeader {
		if hides || i.concerns(name) {
			return edge.Refuse(edge.Malformed, "layer: got a global header with the name %.100q, for which containerd removes what is there", name)
		}
		return nil
	}
	if hides {
		return i.whiteout(parent, hidden)
	}
	i.implied(parent)
	switch header.Typeflag {
	case tar.TypeDir:
		i.directory(name)
	case tar.TypeSymlink:
		return i.link(name, header.Linkname)
	case tar.TypeLink:
		return i.hardLink(name, header.Linkname)
	case tar.TypeReg, tar.TypeGNUSparse, tar.TypeCont:
		return i.file(name, header, content)
	default:
		i.odd(name, "got a device or a pipe")
	}
	return nil
}

// lost refuses a name whose links were not followed to their end.
func (i *Image) lost(what, name string) error {
	if err := i.spent(); err != nil {
		return err
	}
	return edge.Refuse(edge.Malformed, "layer: got %s %.100q, which leads through more than %d links", what, name, maxHops)
}

// plain refuses attributes by which overlayfs hides, moves or replaces what a layer shows, if a runtime sets them.
// containerd sets none of "trusted."; those of "user." count where it runs without root.
func plain(header *tar.Header) error {
	for key := range header.PAXRecords {
		_, attribute, ok := strings.Cut(key, ".xattr.")
		if !ok {
			continue
		}
		for _, space := range []string{"trusted.overlay.", "user.overlay."} {
			switch rest, ok := strings.CutPrefix(attribute, space); {
			case !ok:
			case rest == "opaque", rest == "redirect", rest == "metacopy", strings.HasPrefix(rest, "whiteout"):
				return edge.Refuse(edge.Malformed, "layer: got %.100q with the attribute %s, want none of overlayfs", header.Name, attribute)
			}
		}
	}
	return nil
}

// concerns says whether what is at a name, or below it, is known or wanted.
func (i *Image) concerns(name string) bool {
	for wanted := range i.wanted {
		if wanted == name || strings.HasPrefix(wanted, name+"/") {
			return true
		}
	}
	return i.at(name) != nil
}

// odd is something that has no text.
func (i *Image) odd(name, problem string) {
	if i.wanted[name] {
		i.put(name, node{kind: other, problem: problem})
		return
	}
	i.clear(name)
}

// implied notes that a name is a directory, as are all that lead to it.
func (i *Image) implied(name string) {
	for ; name != ""; name = name[:max(strings.LastIndexByte(name, '/'), 0)] {
		i.steps++
		if i.wanted[name] {
			i.directory(name)
		}
	}
}

// directory keeps what is in it if it was one, and takes the place of everything else.
func (i *Image) directory(name string) {
	if at := i.at(name); at != nil && (at.kind == link || at.kind == other) {
		i.clear(name)
	}
	if i.wanted[name] {
		at := i.reach(name)
		at.kind, at.problem, at.layer = directory, "got a directory", i.layer
	}
}

func (i *Image) link(name, target string) error {
	if target == "" || len(target) > maxName {
		return edge.Refuse(edge.Malformed, "layer: got the symbolic link %.100q with a target of %d bytes, want 1 to %d", name, len(target), maxName)
	}
	i.put(name, node{kind: link, target: target})
	return nil
}

// hardLink gives what is at the target another name: a symbolic link is one under both.
func (i *Image) hardLink(name, target string) error {
	target, err := cleaned(target)
	if err != nil {
		return err
	}
	dir, base := path.Split(target)
	parent, ok := i.resolve(dir)
	if !ok {
		return i.lost("a hard link to", target)
	}
	of := i.visible(path.Join(parent, base))
	switch {
	case of != nil && of.kind == link, of != nil && i.wanted[name] && of.kind == other:
		i.put(name, node{kind: of.kind, target: of.target, text: of.text, problem: of.problem})
	default:
		i.odd(name, fmt.Sprintf("got a hard link to %.100q", target))
	}
	return nil
}

func (i *Image) file(name string, header *tar.Header, content io.Reader) error {
	if !i.wanted[name] {
		i.clear(name)
		return nil
	}
	if header.Size > i.limits.File {
		i.odd(name, fmt.Sprintf("got %d bytes, want at most %d", header.Size, i.limits.File))
		return nil
	}
	text, err := io.ReadAll(io.LimitReader(content, i.limits.File))
	if err != nil {
		return err
	}
	if !utf8.Valid(text) {
		i.odd(name, "got bytes that are not UTF-8")
		return nil
	}
	i.put(name, node{kind: other, text: string(text)})
	return nil
}

// whiteout hides what lower layers have: all in a directory, or one name in it.
func (i *Image) whiteout(parent, hidden string) error {
	switch {
	case hidden == ".wh..opq":
		if at := i.at(parent); at != nil {
			at.hides = i.layer
		}
		return nil
	case strings.HasPrefix(hidden, ".wh."): // what AUFS keeps for itself
		return nil
	case hidden == "", hidden == ".", hidden == "..":
		return edge.Refuse(edge.Malformed, "layer: got a whiteout of %q in %.100q, want a name", hidden, parent)
	}
	name := path.Join(parent, hidden)
	if at := i.at(name); at != nil && at.newest == i.layer {
		// By the specification this layer's is there; by how containerd unpacks it is gone.
		return edge.Refuse(edge.Malformed, "layer: got %.100q and behind it a whiteout of it, want one or the other", name)
	}
	i.clear(name)
	return nil
}
