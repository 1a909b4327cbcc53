package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/assay-dev/assay/server/admission"
)

// A review is read into memory that grows with what arrives, and not with what is announced.
// What is over the limit, or has no room, is read on and thrown away: an answer to who
// still writes would be lost with the connection.

const (
	// bodyLimit admits every review of an object that can be stored. etcd takes 1.5 MiB, and the
	// API server writes one byte of that as six of JSON at most (\u003c is a <). An update
	// has the object and the old one: 18 MiB. One more is for the rest, of which headers of the
	// request, the API server takes 1 MiB of those, have the most.
	bodyLimit = 2*6*(3<<20)/2 + 1<<20
	// headSize is enough of a review to have what names it.
	headSize = 8 << 10
	// mostThrownAway bounds what is read of a body over the limit. The API server takes 3 MiB of its
	// users; what becomes of them in JSON is rarely ten times as much.
	mostThrownAway = 64 << 20

	// smallBody, and smallReview decoded, are not counted: real reviews are small, and come
	// in also while somebody holds up all room for large ones.
	smallBody   = 64 << 10
	smallReview = 1 << 20
	// What deciding takes beside the body: the decoder's copy of it, the texts, and the values,
	// of which maps are the largest. As measured with a member in each of them.
	copies    = 3
	valueSize = 350
)

// decodedSize is what deciding about a review takes beside the body, 0 where that is not counted.
func decodedSize(review admission.Review) int64 {
	size := copies*int64(len(review.Raw)) + valueSize*int64(review.Values)
	if size <= smallReview {
		return 0
	}
	return size
}

// read takes the body, once it is known to be JSON. With an error there may be the
// beginning of it. What is not decided holds no room while the rest of it is read: whoever
// sends that may take their time.
func (w *webhook) read(ctx context.Context, c echo.Context, room *room) ([]byte, error) {
	request, limit := c.Request(), w.server.config.BodyLimit
	contentType := request.Header.Get(echo.HeaderContentType)
	if media, _, err := mime.ParseMediaType(contentType); err != nil || media != echo.MIMEApplicationJSON {
		return nil, refuse(http.StatusUnsupportedMediaType, "content type: got %.64q, want application/json", contentType)
	}
	if encoding := request.Header.Get(echo.HeaderContentEncoding); encoding != "" {
		return nil, refuse(http.StatusUnsupportedMediaType, "content encoding: got %.64q, want none", encoding)
	}
	most := limit
	switch announced := request.ContentLength; {
	case announced > limit:
		most = min(limit, headSize) // no more of it is looked at
	case announced >= 0:
		most = announced
	}
	body, whole, err := grow(ctx, request.Body, most, room)
	switch {
	case errors.Is(err, errNoRoom):
		body = beginning(body)
		room.leave()
		throwAway(request.Body)
		return body, w.noRoom()
	case err != nil:
		return nil, refuse(http.StatusBadRequest, "body: got %d bytes, then %v", len(body), err)
	case whole:
		return body, nil
	}
	body = beginning(body)
	room.leave()
	throwAway(request.Body)
	got := fmt.Sprintf("more than %d bytes", limit)
	if request.ContentLength > limit {
		got = fmt.Sprintf("%d bytes, want at most %d", request.ContentLength, limit)
	}
	return body, refuse(http.StatusRequestEntityTooLarge, "review: got %s", got)
}

// beginning is a copy of that much of a body as can name a review, which leaves the rest to the
// garbage collector.
func beginning(body []byte) []byte { return bytes.Clone(body[:min(len(body), headSize)]) }

// throwAway reads the rest of a body. Who sends more than is read loses the connection.
func throwAway(body io.Reader) { _, _ = io.CopyN(io.Discard, body, mostThrownAway) }

var errNoRoom = errors.New("no room")

// grow reads until the end, or until there is more than most, in which case it is not the whole.
func grow(ctx context.Context, from io.Reader, most int64, room *room) (body []byte, whole bool, err error) {
	body = make([]byte, 0, min(most+1, headSize))
	for {
		n, err := from.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		switch {
		case int64(len(body)) > most:
			return body[:most], false, nil
		case errors.Is(err, io.EOF):
			return body, true, nil
		case err != nil:
			return body, false, err
		case len(body) < cap(body):
			continue
		}
		next := min(2*int64(cap(body)), most+1)
		if next > smallBody && !room.take(ctx, next-room.held) {
			return body, false, errNoRoom
		}
		larger := make([]byte, len(body), next)
		copy(larger, body)
		body = larger
	}
}

// unread answers what is not decided. A review that is too much for us, or that comes while others
// are, is denied where its beginning names it: the reason reaches the user, and an API server that
// is told to ignore failures has none to ignore.
func (w *webhook) unread(c echo.Context, start time.Time, head []byte, err error) (outcome, string, error) {
	var answer *echo.HTTPError
	if !errors.As(err, &answer) {
		answer = refuse(http.StatusBadRequest, "%v", err)
	}
	var excess *admission.Excess
	busy := answer.Code == http.StatusServiceUnavailable
	if busy || answer.Code == http.StatusRequestEntityTooLarge || errors.As(err, &excess) {
		result := refused
		if busy {
			result = overloaded
		}
		if review, ok := admission.Head(head[:min(len(head), headSize)]); ok {
			return result, "", w.respond(c, start, review, denied(fmt.Sprint(answer.Message)), result, Account{})
		}
	}
	if busy {
		c.Response().Header().Set(echo.HeaderRetryAfter, "1") // upon which an API server asks again
		return overloaded, "", answer
	}
	return badRequest, "", answer
}

// refuse is an answer that is not a decision.
func refuse(status int, format string, args ...any) *echo.HTTPError {
	return echo.NewHTTPError(status, fmt.Sprintf(format, args...))
}

// noRoom is one about a review for which there is no memory.
func (w *webhook) noRoom() *echo.HTTPError {
	return refuse(http.StatusServiceUnavailable, "overloaded: got more than %d bytes of reviews at once, or %d of one namespace",
		w.memory.all, w.memory.all/2)
}
