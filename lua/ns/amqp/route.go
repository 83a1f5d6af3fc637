package amqp

import (
	"reflect"
	"strings"
)

// Binds reports whether an exchange of the given type routes a message through the
// binding. If the type is unknown, it returns true, because the exchange might do so.
func (b Binding) Binds(exchangeType, key string, headers map[string]any) bool {
	switch exchangeType {
	case "direct":
		return b.Key == key
	case "topic":
		return topicMatches(strings.Split(b.Key, "."), strings.Split(key, "."))
	case "headers":
		return headersMatch(b.Arguments, headers)
	default: // fanout, or unknown
		return true
	}
}

// topicMatches reports whether words match a topic pattern. In a pattern, * stands
// for one word and # for any number of words.
func topicMatches(pattern, words []string) bool {
	switch {
	case len(pattern) == 0:
		return len(words) == 0
	case pattern[0] == "#":
		return topicMatches(pattern[1:], words) || len(words) > 0 && topicMatches(pattern, words[1:])
	case len(words) == 0:
		return false
	}
	return (pattern[0] == "*" || pattern[0] == words[0]) && topicMatches(pattern[1:], words[1:])
}

// headersMatch reports whether headers match the arguments of a Binding. The argument
// x-match decides whether all (the default) or any of them must be equal. Arguments whose
// names begin with x- count only if x-match is all-with-x or any-with-x.
func headersMatch(arguments, headers map[string]any) bool {
	mode, _ := arguments["x-match"].(string)
	mode, withX := strings.CutSuffix(mode, "-with-x")
	anyOne := mode == "any"
	for name, want := range arguments {
		if name == "x-match" || !withX && strings.HasPrefix(name, "x-") {
			continue
		}
		if got, ok := headers[name]; ok && reflect.DeepEqual(got, want) == anyOne {
			return anyOne
		} else if !ok && !anyOne {
			return false
		}
	}
	return !anyOne
}
