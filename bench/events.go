package main

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"nearside/matcher"
)

// Events are those of 60 days, from cameras in cities of different sizes. The number of a
// row determines all attributes by which filters select.
const (
	eventDays    = 60
	eventDay     = matcher.Time(24 * time.Hour / time.Millisecond)
	cities       = 50
	perCity      = 4 // cameras per city
	tagNames     = 24
	visitors     = 1000             // number of values of the declared field
	delayMax     = 2 * 60 * 1000    // largest delay of an event in ms: the order of rows is not exactly the order of time
	dayTested    = 30               // day that the filters select, of eventDays
	cityTested   = 4                // city that the filters select; cities are numbered by size
	ageFrom      = 20               // first age that the filters select
	ageTo        = 40               // end of the selected ages, exclusive
	visitorsFrom = visitors * 3 / 4 // first selected value of the declared field
	visitorsTo   = visitors * 4 / 5 // end of the selected values, exclusive
	emotions     = 7
	cameraStep   = 10   // the filter by cameras selects every tenth camera
	boxHalf      = 0.05 // half of the side of the geo box, in degrees
	spread       = 0.2  // largest distance of an event from the centre of its city, per axis, in degrees
)

// metaVisitors is the declared field.
var metaVisitors = matcher.MetaField{Path: "shop.visitors", Type: matcher.MetaNumber}

// eventSet defines the events of a dataset of n rows.
type eventSet struct {
	n          int
	shuffled   bool      // the rows are not in the order of time
	cumulative []float64 // fraction of the events that city c and all larger cities have
}

func newEventSet(n int, shuffled bool) *eventSet {
	s := &eventSet{n: n, shuffled: shuffled}
	sum := 0.0
	for c := range cities {
		sum += 1 / float64(c+1)
		s.cumulative = append(s.cumulative, sum)
	}
	for c := range cities {
		s.cumulative[c] /= sum
	}
	return s
}

// order returns a name for the order of the rows.
func (s *eventSet) order() string {
	if s.shuffled {
		return "shuffled"
	}
	return "by arrival"
}

// fraction returns a pseudo-random number in [0, 1) for row i and a purpose.
func fraction(i, purpose int) float64 {
	return float64(mix(uint64(i)*16+uint64(purpose)+1<<40)>>11) / (1 << 53)
}

// The purposes of the numbers of fraction.
const (
	ofTime = iota
	ofCity
	ofCamera
	ofLongitude
	ofLatitude
	ofVisitors
	ofTags
	ofEmotion
)

func (s *eventSet) timeOf(i int) matcher.Time {
	if s.shuffled {
		return firstTime + matcher.Time(fraction(i, ofTime)*float64(eventDays*eventDay))
	}
	return firstTime + matcher.Time(i)*eventDays*eventDay/matcher.Time(s.n) + matcher.Time(fraction(i, ofTime)*delayMax)
}

func (s *eventSet) cityOf(i int) int {
	x := fraction(i, ofCity)
	for c, end := range s.cumulative {
		if x < end {
			return c
		}
	}
	return cities - 1
}

func (s *eventSet) cameraOf(i int) int {
	return s.cityOf(i)*perCity + int(fraction(i, ofCamera)*perCity)
}

func cameraName(c int) string { return "camera " + strconv.Itoa(c) }

func emotionOf(i int) uint8 { return uint8(fraction(i, ofEmotion) * emotions) }

func cityName(c int) string { return "city " + strconv.Itoa(c) }

// centreOf returns the centre of a city. Cities lie on a grid.
func centreOf(c int) matcher.Position {
	return matcher.Position{Longitude: float64(30 + 3*(c%10)), Latitude: float64(40 + 3*(c/10))}
}

func (s *eventSet) positionOf(i int) matcher.Position {
	p := centreOf(s.cityOf(i))
	p.Longitude += (2*fraction(i, ofLongitude) - 1) * spread
	p.Latitude += (2*fraction(i, ofLatitude) - 1) * spread
	return p
}

func visitorsOf(i int) int { return int(fraction(i, ofVisitors) * visitors) }

// tagsOf returns up to three tags. Tags with low numbers are more frequent.
func tagsOf(i int) []int {
	x := mix(uint64(i)*16 + ofTags + 1<<40)
	tags := make([]int, 0, 3)
	for ; len(tags) < int(x%4) && len(tags) < 3; x >>= 8 {
		a, b := x>>8%tagNames, x>>16%tagNames
		tags = append(tags, int(min(a, b)))
	}
	return tags
}

func tagName(t int) string { return "tag " + strconv.Itoa(t) }

// contents returns contents that turn the rows into events.
func (s *eventSet) contents() contents {
	return contents{origin: matcher.Events, meta: []matcher.MetaField{metaVisitors}, object: func(i int, o *matcher.Object) {
		city, at := s.cityOf(i), s.positionOf(i)
		o.CreateTime, o.Age, o.Gender = s.timeOf(i), matcher.SmallOf(ageOf(i)), matcher.SmallOf(genderOf(i))
		o.Event = &matcher.Event{
			Source:   cameraName(s.cameraOf(i)),
			Emotion:  matcher.SmallOf(emotionOf(i)),
			TrackID:  strconv.Itoa(i / 4),
			Location: matcher.Location{City: cityName(city), Position: &at},
			Meta:     fmt.Sprintf(`{"shop":{"visitors":%d}}`, visitorsOf(i)),
		}
		for _, t := range tagsOf(i) {
			o.Event.Tags = append(o.Event.Tags, tagName(t))
		}
	}}
}

// The filters of events, by name.
const (
	oneDay        = "one day"
	oneDayCityAge = "one day, city, ages"
	cityAge       = "city, ages"
)

// filters returns the measured filters. For shuffled events it returns only the filters
// by time, because the others do not depend on the order of rows.
func (s *eventSet) filters() []*filter {
	from := firstTime + dayTested*eventDay
	to := from + eventDay
	day := matcher.Range[matcher.Time]{GTE: &from, LT: &to}
	inDay := func(i int) bool { t := s.timeOf(i); return t >= from && t < to }
	low, high := uint8(ageFrom), uint8(ageTo)
	cityAndAges := []matcher.FieldFilter{
		matcher.Within("age", matcher.Range[uint8]{GTE: &low, LT: &high}), matcher.AnyOf("location.city", cityName(cityTested)),
	}
	hasCityAndAge := func(i int) bool { return ageOf(i) >= ageFrom && ageOf(i) < ageTo && s.cityOf(i) == cityTested }
	all := []*filter{
		{name: oneDay, contiguous: !s.shuffled, filter: matcher.Filter{CreateTime: day}, matches: inDay},
		{name: oneDayCityAge, filter: matcher.Filter{CreateTime: day, Fields: cityAndAges}, matches: func(i int) bool { return hasCityAndAge(i) && inDay(i) }},
	}
	if s.shuffled {
		return all
	}
	all = append(all, &filter{name: cityAge, filter: matcher.Where(cityAndAges...), matches: hasCityAndAge})
	return append(all, s.otherFilters()...)
}

func (s *eventSet) otherFilters() []*filter {
	only := func(f matcher.EventFilter) matcher.Filter { return matcher.Filter{Event: f} }
	number := func(op matcher.MetaOp, x float64) matcher.MetaFilter {
		return matcher.MetaFilter{Field: metaVisitors, Op: op, Values: []matcher.MetaValue{{Number: matcher.Number{Float: x}}}}
	}
	centre := centreOf(0)
	box := matcher.GeoBox{Longitude: centre.Longitude, Latitude: centre.Latitude, LongitudeDelta: boxHalf, LatitudeDelta: boxHalf}
	var cameras []string
	for c := 0; c < cities*perCity; c += cameraStep {
		cameras = append(cameras, cameraName(c))
	}
	return []*filter{
		{name: "20 cameras", filter: matcher.Where(matcher.AnyOf("source", cameras...)), matches: func(i int) bool { return s.cameraOf(i)%cameraStep == 0 }},
		{name: "two emotions", filter: matcher.Where(matcher.AnyOf("emotion", uint8(1), 4)), matches: func(i int) bool { return emotionOf(i) == 1 || emotionOf(i) == 4 }},
		{name: "tags", filter: only(matcher.EventFilter{Tags: []string{tagName(7), tagName(11)}}), matches: func(i int) bool {
			for _, t := range tagsOf(i) {
				if t == 7 || t == 11 {
					return true
				}
			}
			return false
		}},
		{
			name: "meta number range", filter: only(matcher.EventFilter{Meta: []matcher.MetaFilter{number(matcher.MetaGTE, visitorsFrom), number(matcher.MetaLT, visitorsTo)}}),
			matches: func(i int) bool { return visitorsOf(i) >= visitorsFrom && visitorsOf(i) < visitorsTo },
		},
		{name: "geo box", filter: only(matcher.EventFilter{Position: &box}), matches: func(i int) bool {
			p := s.positionOf(i)
			return math.Abs(p.Longitude-centre.Longitude) <= boxHalf && math.Abs(p.Latitude-centre.Latitude) <= boxHalf
		}},
	}
}
