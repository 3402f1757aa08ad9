package auth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// minKey is the shortest key, in bytes: what is shorter can be guessed over the network.
const minKey = 8

// Keys allows publishing with static keys. A list of keys has lines of two kinds:
//
//	STREAM KEY         publish to STREAM with ?key=KEY
//	STREAM name:KEY    publish to APP/KEY, and be seen as STREAM: the stream key of OBS is the key alone
//
// STREAM is "APP/NAME"; in the first kind it may be a Pattern. KEY is the key itself or "sha256:" and the 64
// hexadecimal digits of its hash. Several lines may name the same stream. One with a key of the second kind is
// reserved (see Names): keys for patterns do not open it.
//
// Only hashes are kept.
type Keys struct {
	streams  map[string][]keyHash
	patterns []patternKey
	names    map[nameKey]string // public streams
	reserved map[string]bool    // the values of names
}

type keyHash = [sha256.Size]byte

type patternKey struct {
	pattern Pattern
	hash    keyHash
}

// nameKey is a name that is a key, in an application.
type nameKey struct {
	app  string
	hash keyHash
}

// ParseKeys reads a list of keys, as ReadSecretFile and SecretLines give it. Errors name the line's number among
// these, never its content.
func ParseKeys(lines []string) (*Keys, error) {
	k := &Keys{streams: map[string][]keyHash{}, names: map[nameKey]string{}, reserved: map[string]bool{}}
	var errs []error
	for i, line := range lines {
		if err := k.add(line); err != nil {
			errs = append(errs, fmt.Errorf("key %d: %w", i+1, err))
		}
	}
	for stream := range k.streams {
		if k.Public(stream) != "" {
			errs = append(errs, errNameTaken)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return k, nil
}

var (
	errKeyLine   = errors.New("not STREAM KEY, with STREAM as APP/NAME or APP/*")
	errShortKey  = fmt.Errorf("the key has less than %d characters", minKey)
	errKeyHash   = errors.New(`"sha256:" must be followed by 64 hexadecimal digits`)
	errNameKey   = errors.New("a key that is published under its name must be a name itself, and its stream no pattern")
	errSameName  = errors.New("the same name stands for two streams")
	errNameTaken = errors.New("a stream has the same name as a key that is published under its name")
	prefixHash   = "sha256:"
	prefixAsName = "name:"
)

func (k *Keys) add(line string) error {
	fields := strings.Fields(line)
	if len(fields) != 2 || !Pattern(fields[0]).Valid() {
		return errKeyLine
	}
	stream, key := fields[0], fields[1]
	key, asName := strings.CutPrefix(key, prefixAsName)
	hash, err := parseKey(key)
	if err != nil {
		return err
	}
	exact := !strings.Contains(stream, "*")
	if !asName {
		if exact {
			k.streams[stream] = append(k.streams[stream], hash)
		} else {
			k.patterns = append(k.patterns, patternKey{Pattern(stream), hash})
		}
		return nil
	}
	hashed := strings.HasPrefix(key, prefixHash)
	if !exact || !hashed && (!validPart(key) || strings.HasSuffix(key, "*")) {
		return errNameKey
	}
	app, _, _ := strings.Cut(stream, "/")
	name := nameKey{app, hash}
	if other, twice := k.names[name]; twice && other != stream {
		return errSameName
	}
	k.names[name] = stream
	k.reserved[stream] = true
	return nil
}

// Public implements Names.
func (k *Keys) Public(name string) string {
	if len(k.names) == 0 {
		return ""
	}
	app, key, _ := strings.Cut(name, "/")
	return k.names[nameKey{app, sha256.Sum256([]byte(key))}]
}

// Reserved implements Names.
func (k *Keys) Reserved(stream string) bool { return k.reserved[stream] }

// ReservedStreams returns the streams for which secret names stand, sorted.
func (k *Keys) ReservedStreams() []string { return slices.Sorted(maps.Keys(k.reserved)) }

func parseKey(key string) (keyHash, error) {
	if digits, ok := strings.CutPrefix(key, prefixHash); ok {
		raw, err := hex.DecodeString(digits)
		if err != nil || len(raw) != sha256.Size {
			return keyHash{}, errKeyHash
		}
		return keyHash(raw), nil
	}
	if len(key) < minKey {
		return keyHash{}, errShortKey
	}
	return sha256.Sum256([]byte(key)), nil
}

// Decide implements Policy.
func (k *Keys) Decide(_ context.Context, r Request) Decision {
	if r.Action != Publish {
		return refuse(NoToken, needToken(r.Action))
	}
	if r.Secret != "" && k.Public(r.Secret) == r.Stream {
		_, name, _ := strings.Cut(r.Secret, "/")
		hash := sha256.Sum256([]byte(name))
		return Decision{Allowed: true, Stream: r.Stream, Credential: "key " + string(hash[:])}
	}
	key := Parameter(r.Query, keyParameter)
	if key == "" {
		key = Token(r.Query)
	}
	if key == "" {
		return refuse(NoToken, "publishing needs a key: in OBS, write the stream key as NAME?key=KEY, with the KEY that you were given")
	}
	hash := sha256.Sum256([]byte(key))
	if !k.has(r.Stream, hash) {
		return refuse(BadToken, "the key is not one of this stream: check both the name and the key in the encoder's stream key")
	}
	return Decision{Allowed: true, Credential: "key " + string(hash[:])}
}

// has reports whether a key is one of a stream's. It takes the same time whichever of them it is.
func (k *Keys) has(stream string, hash keyHash) bool {
	found := 0
	for _, h := range k.streams[stream] {
		found |= subtle.ConstantTimeCompare(h[:], hash[:])
	}
	for _, p := range k.patterns {
		if p.pattern.Match(stream) && !k.reserved[stream] {
			found |= subtle.ConstantTimeCompare(p.hash[:], hash[:])
		}
	}
	return found == 1
}

// needToken tells how to show a token.
func needToken(a Action) string {
	if a == Publish {
		return "publishing needs a token: in OBS, write the stream key as NAME?token=TOKEN, with the TOKEN that you were given"
	}
	return "watching this stream needs a token: add ?token=TOKEN to its URL, with the TOKEN that you were given"
}
