// ComfyUI lists the templates of a pack in the order in which the disk has them; here the simplest come first.

import { api } from "../../../scripts/api.js"

const FIRST = ["Fix faces", "Restore and upscale a photo", "Restore then upscale", "Fix faces in a video", "Choose faces", "Choose the fidelity"]

/** The folder that the pack lies in, which is its name in the list: /extensions/<folder>/js/templates.js. */
const PACK = decodeURIComponent(new URL(import.meta.url).pathname.split("/").at(-3))

const rank = (name) => (FIRST.includes(name) ? FIRST.indexOf(name) : FIRST.length)

const listed = api.getWorkflowTemplates
if (listed)
  api.getWorkflowTemplates = async function () {
    const templates = await listed.call(this)
    templates[PACK]?.sort((one, other) => rank(one) - rank(other) || one.localeCompare(other))
    return templates
  }
