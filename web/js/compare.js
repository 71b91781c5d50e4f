// Before and after: two images one over the other with a line to drag between them, on the nodes that change faces.

import { Panel, fileAddress, registerPanel } from "./panel.js"
import { element, say } from "./words.js"

const STEP = 0.02 // of the width, for an arrow key

const within = (value, low, high) => Math.min(Math.max(value, low), high)

/** The CSS that enlarges a place (x, y, width, height, relative to the image) until it fills half of the view. */
function zoomedTo([x, y, width, height]) {
  const scale = Math.max(1, 0.5 / Math.max(width, height))
  const shift = (centre) => `${100 * within(0.5 - scale * centre, 1 - scale, 0)}%`
  return `translate(${shift(x + width / 2)}, ${shift(y + height / 2)}) scale(${scale})`
}

class Compare extends Panel {
  static kinds = ["CodeFormerFixFaces", "CodeFormerPasteBack", "CodeFormerRestore", "CodeFormerCompare"]
  static key = "codeformer_compare"
  static style = "codeformer-compare"
  static height = 300

  constructor() {
    super()
    this.cut = 0.5
    this.face = "" // index of the face that is zoomed to; empty for the whole image
    this.stage = element("div", { className: "stage" })
    this.bar = element("div", { className: "bar" })
    this.root.append(this.stage, this.bar)
  }

  show() {
    const pairs = this.output(Compare.key)
    const pager = this.pager(pairs?.length ?? 0)
    const pair = pairs?.[this.index]
    this.stage.replaceChildren(pair ? this.view(pair) : say(pairs ? "nothingToCompare" : "uncompared"))
    this.bar.replaceChildren(...pager, ...(pair?.faces.length ? [this.zoom(pair.faces)] : []))
  }

  view({ before, after, faces }) {
    const picture = element("div", { className: "picture" })
    const transform = faces[this.face] ? zoomedTo(faces[this.face]) : ""
    const side = (name, file) => {
      const image = element("img", { src: fileAddress(file), alt: say(name), draggable: false })
      image.style.transform = transform
      image.onload = () => picture.style.setProperty("--ratio", image.naturalWidth / image.naturalHeight || 1)
      return element("div", { className: `side ${name}` }, image, element("span", { textContent: say(name) }))
    }
    const line = element("div", { className: "line", tabIndex: 0, role: "slider" })
    line.dataset.key = "line"
    line.setAttribute("aria-label", say("line"))
    const move = (cut) => {
      this.cut = within(cut, 0, 1)
      picture.style.setProperty("--cut", `${100 * this.cut}%`)
      line.setAttribute("aria-valuenow", Math.round(100 * this.cut))
    }
    line.onkeydown = ({ key }) => {
      const step = { ArrowLeft: -STEP, ArrowDown: -STEP, ArrowRight: STEP, ArrowUp: STEP, Home: -1, End: 1 }[key]
      if (step) move(this.cut + step)
    }
    const follow = (event) => {
      const { left, width } = picture.getBoundingClientRect()
      move((event.clientX - left) / width)
    }
    picture.onpointerdown = (event) => {
      if (event.button !== 0) return
      picture.setPointerCapture(event.pointerId)
      line.focus()
      follow(event)
    }
    picture.onmousedown = (event) => event.preventDefault() // or the line would lose the focus again
    picture.onpointermove = (event) => picture.hasPointerCapture(event.pointerId) && follow(event)
    move(this.cut)
    picture.append(side("before", before), side("after", after), line)
    return picture
  }

  zoom(faces) {
    const places = faces.map((_, index) => [index, say("number", { number: index + 1 })])
    return this.choice("zoom", say("zoom"), [["", say("whole")], ...places], faces[this.face] ? this.face : "", (face) => {
      this.face = face
      this.draw()
    })
  }
}

registerPanel(Compare, "compare")
